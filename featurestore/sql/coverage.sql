-- coverage(): how many materials have each property, each text source and each encoder's vectors.
CREATE OR REPLACE TEMP MACRO coverage() AS TABLE
    -- the view of materials, whose names are computed, is bound once
    WITH ids AS (SELECT material_id, structure_id FROM materials),
    total AS (SELECT count(*) AS n FROM ids),
    counted AS (
        SELECT 'property' AS kind, property AS name, count(DISTINCT material_id) AS materials
        FROM properties GROUP BY property
        UNION ALL
        SELECT 'text', generator_id, count(DISTINCT material_id)
        FROM ids JOIN (SELECT DISTINCT structure_id, generator_id FROM sentences)
        USING (structure_id) GROUP BY generator_id
        UNION ALL
        SELECT 'structure embedding', encoder_id, count(DISTINCT material_id)
        FROM ids JOIN structure_embedding_keys USING (structure_id) GROUP BY encoder_id
        UNION ALL
        SELECT 'text embedding', encoder_id || ' of ' || generator_id, count(DISTINCT material_id)
        FROM ids
        JOIN full_texts USING (structure_id)
        JOIN text_embedding_keys USING (text_id)
        GROUP BY encoder_id, generator_id
    )
    SELECT kind, name, materials, n AS of_materials, round(100.0 * materials / n, 1) AS percent
    FROM counted, total
    ORDER BY kind, name;
