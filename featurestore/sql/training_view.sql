-- training_view(property, text_source, structure_encoder, text_encoder, variant, split,
--               property_source):
-- one row for each material that has a target, a fold and both vectors, in order of material_id.
--
--   property           as in properties.property
--   text_source        as for texts()
--   structure_encoder  an encoder_id, or an encoder's name if it has one version in the store;
--                      see: SELECT encoder_id, name FROM encoders
--   text_encoder       likewise
--   variant            as for texts(); default 'full'
--   split              as in splits.split; default NULL: all materials, fold NULL
--   property_source    as in properties.source; needed where the property comes from several
CREATE OR REPLACE TEMP MACRO folds(property, split) AS TABLE
    SELECT s.material_id, s.fold
    FROM splits s
    WHERE s.split = split AND s.property IN (property, '*')
    -- a split made for the property goes before one made for all properties
    QUALIFY row_number() OVER (PARTITION BY s.material_id ORDER BY s.property = '*') = 1;

-- values of different sources are never mixed in silence
CREATE OR REPLACE TEMP MACRO source_of(wanted, wanted_source) AS (
    SELECT CASE
        WHEN wanted_source IS NOT NULL THEN wanted_source
        WHEN count(DISTINCT v.source) < 2 THEN min(v.source)
        ELSE error('property ''' || wanted || ''' comes from several sources; choose one with '
                   || 'property_source: ' || string_agg(DISTINCT v.source, ', ' ORDER BY v.source))
    END
    FROM properties v WHERE v.property = wanted
);

CREATE OR REPLACE TEMP MACRO targets(property, split := NULL, property_source := NULL) AS TABLE
    SELECT m.material_id, m.structure_id, f.fold, p.value AS target, p.unit, p.source
    FROM properties p
    JOIN materials m ON m.material_id = p.material_id
    LEFT JOIN folds(property, split) f ON f.material_id = p.material_id
    WHERE p.property = property
      AND p.source = source_of(property, property_source)
      AND (split IS NULL OR f.fold IS NOT NULL);

-- the form that a name has in an encoder_id: 'alignn-ff' becomes 'alignn_ff'
CREATE OR REPLACE TEMP MACRO encoder_slug(name) AS
    regexp_replace(lower(name), '[^a-z0-9]+', '_', 'g');

CREATE OR REPLACE TEMP MACRO training_view(
    property, text_source, structure_encoder, text_encoder, variant := 'full', split := NULL,
    property_source := NULL
) AS TABLE
    SELECT t.material_id, t.structure_id, x.text_id, t.fold, t.target, e.n_tokens, e.truncated,
           s.vector AS structure_vector, e.vector AS text_vector
    FROM targets(property, split := split, property_source := property_source) t
    JOIN texts(text_source, variant := variant) x ON x.structure_id = t.structure_id
    JOIN query_table('structure_embeddings__' || encoder_slug(structure_encoder)) s
      ON s.structure_id = t.structure_id
    JOIN query_table('text_embeddings__' || encoder_slug(text_encoder)) e
      ON e.text_id = x.text_id
    ORDER BY t.material_id;
