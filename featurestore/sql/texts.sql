-- texts(text_source, variant): the text of every described structure.
--
--   text_source  a source such as 'robocrystallographer' if it has one generator in the store,
--                or a generator_id
--   variant      'full', 'without:TAG,…' or 'only:TAG,…' over the store's tags;
--                'without:reference:TAG,…' and 'only:reference:TAG,…' over the overlapping tags
--                of the reference implementation
--
-- A structure whose sentences are all removed has the empty text.

-- of several generators of a source the promoted one is meant, or the only one that is not retired
CREATE OR REPLACE TEMP MACRO generator_of(wanted) AS (
    SELECT CASE
        WHEN count(*) = 1 THEN min(generator_id)
        WHEN count(*) = 0 THEN error('the store has no text source or generator ''' || wanted || '''')
        ELSE error('text source ''' || wanted || ''' has several generators, name one of: '
                   || string_agg(generator_id, ', ' ORDER BY generator_id))
    END
    FROM (
        SELECT generator_id,
               CASE WHEN generator_id = wanted THEN 3
                    WHEN standing = 'promoted' THEN 2
                    WHEN standing = 'retired' THEN 0
                    ELSE 1 END AS rank
        FROM generators LEFT JOIN standings ON id = generator_id
        WHERE wanted IN (generator_id, source)
        QUALIFY rank > 0 AND rank = max(rank) OVER ()
    )
);

CREATE OR REPLACE TEMP MACRO variant_tags(variant) AS
    string_split(regexp_replace(variant, '^(without|only):(reference:)?', ''), ',');

CREATE OR REPLACE TEMP MACRO has_variant_tag(variant, tag, reference_tags) AS
    CASE WHEN regexp_matches(variant, '^(without|only):reference:')
         THEN list_has_any(reference_tags, variant_tags(variant))
         ELSE list_contains(variant_tags(variant), tag) END;

CREATE OR REPLACE TEMP MACRO in_variant(variant, tag, reference_tags) AS
    CASE WHEN variant = 'full' THEN true
         WHEN starts_with(variant, 'without:') THEN NOT has_variant_tag(variant, tag, reference_tags)
         WHEN starts_with(variant, 'only:') THEN has_variant_tag(variant, tag, reference_tags)
         ELSE error('unknown variant ''' || variant || '''; use full, without:TAG or only:TAG') END;

CREATE OR REPLACE TEMP MACRO variant_is_known(generator, variant) AS (
    SELECT CASE WHEN variant = 'full'
                  OR list_has_all(CASE WHEN regexp_matches(variant, '^(without|only):reference:')
                                       THEN reference_tags ELSE tags END, variant_tags(variant))
                THEN true
                ELSE error('variant ''' || variant || ''' names a tag that ' || generator_id
                           || ' does not have; its tags: ' || array_to_string(tags, ', ')
                           || '; overlapping tags of the reference: '
                           || array_to_string(reference_tags, ', ')) END
    FROM generators WHERE generator_id = generator
);

CREATE OR REPLACE TEMP MACRO texts(text_source, variant := 'full') AS TABLE
    SELECT structure_id, sha256(text) AS text_id, text
    FROM (
        SELECT structure_id,
               -- cheaper than an aggregate in order of position
               coalesce(array_to_string(list_select(
                   list(sentence) FILTER (WHERE in_variant(variant, tag, reference_tags)),
                   list_grade_up(
                       list(position) FILTER (WHERE in_variant(variant, tag, reference_tags)))
               ), ' '), '') AS text
        FROM sentences
        WHERE generator_id = generator_of(text_source)
          AND variant_is_known(generator_of(text_source), variant)
        GROUP BY structure_id
    );
