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
--   property_source    as in properties.source, or a rule as in property_rules.rule; needed where the
--                      property comes from several sources and no rule is in force
CREATE OR REPLACE TEMP MACRO folds(property, split) AS TABLE
    SELECT s.material_id, s.fold
    FROM splits s
    WHERE s.split = split AND s.property IN (property, '*')
    -- a split made for the property goes before one made for all properties
    QUALIFY row_number() OVER (PARTITION BY s.material_id ORDER BY s.property = '*') = 1;

-- The source of a property's values: the one that is wanted, else the rule in force, else the only
-- one; values of different sources are never mixed in silence.
CREATE OR REPLACE TEMP MACRO chosen_source(wanted, wanted_source) AS (
    SELECT CASE
        WHEN wanted_source IS NOT NULL THEN wanted_source
        WHEN (SELECT arg_max(r.way, r.version) FROM property_rules r WHERE r.property = wanted)
            IN ('unite', 'prefer')
        THEN (SELECT arg_max(r.rule, r.version) FROM property_rules r WHERE r.property = wanted)
        WHEN count(DISTINCT v.source) < 2 THEN min(v.source)
        ELSE error('property ''' || wanted || ''' comes from several sources; choose one with '
                   || 'property_source: ' || string_agg(DISTINCT v.source, ', ' ORDER BY v.source)
                   || '; or say how they are taken together with featurestore properties unite '
                   || 'or prefer')
    END
    FROM properties v WHERE v.property = wanted
);

-- likewise, where sources that are united do not disagree
CREATE OR REPLACE TEMP MACRO source_of(wanted, wanted_source) AS (
    SELECT CASE
        WHEN c.source LIKE 'unite [%' AND (
            SELECT count(*) FROM property_conflicts k WHERE k.property = wanted AND k.rule = c.source
        ) > 0
        THEN error('the united sources of property ''' || wanted || ''' disagree; see: '
                   || 'featurestore properties conflicts ' || wanted)
        ELSE c.source
    END
    FROM (SELECT chosen_source(wanted, wanted_source) AS source) c
);

CREATE OR REPLACE TEMP MACRO targets(property, split := NULL, property_source := NULL) AS TABLE
    WITH chosen AS (SELECT source_of(property, property_source) AS source)
    SELECT m.material_id, m.structure_id, f.fold, p.value AS target, p.unit, p.source
    FROM (
        SELECT v.material_id, v.value, v.unit, v.source FROM properties v
        WHERE v.property = property AND v.source = (SELECT c.source FROM chosen c)
        UNION ALL
        SELECT r.material_id, r.value, r.unit, r.source FROM ruled_values r
        WHERE r.property = property AND r.rule = (SELECT c.source FROM chosen c)
    ) p
    JOIN materials m ON m.material_id = p.material_id
    LEFT JOIN folds(property, split) f ON f.material_id = p.material_id
    WHERE split IS NULL OR f.fold IS NOT NULL;

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
