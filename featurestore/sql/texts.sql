-- texts(text_source, variant): the text of every described structure.
--
--   text_source  a source such as 'robocrystallographer' if it has one generator in the store,
--                or a generator_id
--   variant      'full', or ACTION:PART
--
-- ACTION is 'without' (the part is deleted), 'only' (all else is deleted) or 'mask' (each word of
-- the part becomes [MASK]). PART is one of
--
--   TAG,…                     the sentences with these tags
--   reference:TAG,…           likewise, over the overlapping tags of the reference implementation
--   sentence:N,…              sentences by their place in the text, from 0
--   word:N,…                  words by their place in the text, from 0
--   random:SEED:TAG,…         as many sentences of the text, at random, as the tags have there
--   random-words:SEED:TAG,…   as many words of the text, at random, as the tags' sentences have
--
-- A word is what stands between blanks. What is drawn at random depends on the seed and the
-- structure alone. A structure whose sentences are all removed has the empty text; one that lacks a
-- sentence or word that the variant names is left out.

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

-- the parts that a variant's name has
CREATE OR REPLACE TEMP MACRO variant_rule(variant) AS
    CASE WHEN variant = 'full' THEN 'full'
         ELSE regexp_extract(variant, '^(without|only|mask):', 1) END;

-- 'sentence', 'word', 'random', 'random-words', or '' for the sentences of tags
CREATE OR REPLACE TEMP MACRO variant_unit(variant) AS
    regexp_extract(variant, '^[a-z]+:(sentence|word|random|random-words):', 1);

CREATE OR REPLACE TEMP MACRO variant_numbers(variant) AS
    CASE WHEN regexp_matches(variant, '^[a-z]+:(sentence|word):[0-9]+(,[0-9]+)*$')
         THEN CAST(string_split(regexp_extract(variant, '[0-9,]+$'), ',') AS BIGINT[])
         ELSE error('unknown variant ''' || variant || '''; sentences and words are numbers from 0, '
                    || 'separated by commas') END;

CREATE OR REPLACE TEMP MACRO variant_seed(variant) AS
    regexp_extract(variant, '^[a-z]+:(?:random|random-words):([0-9]+):', 1);

CREATE OR REPLACE TEMP MACRO variant_is_reference(variant) AS
    regexp_matches(variant, '^[a-z]+:((random|random-words):[0-9]+:)?reference:');

CREATE OR REPLACE TEMP MACRO variant_tags(variant) AS
    string_split(
        regexp_replace(variant, '^[a-z]+:((random|random-words):[0-9]+:)?(reference:)?', ''), ',');

-- What a variant's name says. It is taken apart once and read from columns after that: a macro's
-- argument is bound anew wherever the macro names it.
CREATE OR REPLACE TEMP MACRO variant_parts(variant) AS {
    'rule': variant_rule(variant),
    'unit': variant_unit(variant),
    'numbers': CASE WHEN variant_unit(variant) IN ('sentence', 'word')
                    THEN variant_numbers(variant) END,
    'seed': variant_seed(variant),
    'is_reference': variant_is_reference(variant),
    'tags': variant_tags(variant)
};

-- whether a generator with these tags has such a variant; an error if not
CREATE OR REPLACE TEMP MACRO variant_is_known(variant, parts, generator_id, tags, reference_tags) AS
    CASE WHEN parts.rule = 'full' THEN true
         WHEN parts.rule = '' OR starts_with(parts.unit, 'random') AND parts.seed = ''
         THEN error('unknown variant ''' || variant || '''; use full, without:TAG, only:TAG '
                    || 'or mask:TAG; in place of TAG also sentence:N, word:N, '
                    || 'random:SEED:TAG or random-words:SEED:TAG')
         WHEN parts.unit IN ('sentence', 'word')
           OR list_has_all(CASE WHEN parts.is_reference THEN reference_tags ELSE tags END, parts.tags)
         THEN true
         ELSE error('variant ''' || variant || ''' names a tag that ' || generator_id
                    || ' does not have; its tags: ' || array_to_string(tags, ', ')
                    || '; overlapping tags of the reference: '
                    || array_to_string(reference_tags, ', ')) END;

CREATE OR REPLACE TEMP MACRO has_variant_tag(parts, tag, reference_tags) AS
    CASE WHEN parts.rule = 'full' THEN false
         WHEN parts.is_reference THEN list_has_any(reference_tags, parts.tags)
         ELSE list_contains(parts.tags, tag) END;

CREATE OR REPLACE TEMP MACRO words_of(text) AS regexp_extract_all(text, '[^ ]+');

-- Which k of the numbers 0 to n - 1 a hash puts first, as n truth values. DuckDB evaluates what stands
-- in a lambda for each of its elements: a list of one makes it evaluate once.
CREATE OR REPLACE TEMP MACRO drawn(seed, structure_id, n, k) AS
    list_transform([{'most': k, 'start': seed || ' ' || structure_id || ' '}], lambda given:
        list_transform(
            list_grade_up(list_grade_up(list_transform(range(n), lambda i:
                sha256(given.start || CAST(i AS VARCHAR))))),
            lambda rank: rank <= given.most))[1];

CREATE OR REPLACE TEMP MACRO numbered(numbers, n) AS
    list_transform([numbers], lambda given:
        list_transform(range(n), lambda i: list_contains(given, i)))[1];

-- what a variant keeps or removes of a text, from its sentences in order
CREATE OR REPLACE TEMP MACRO variant_pieces(parts, sentences) AS
    CASE WHEN parts.unit IN ('word', 'random-words') THEN words_of(array_to_string(sentences, ' '))
         ELSE sentences END;

-- Whether the rule is about each of these pieces, from whether each sentence has one of the variant's
-- tags; NULL where the text lacks a sentence or word that the variant names.
CREATE OR REPLACE TEMP MACRO variant_part(parts, structure_id, pieces, sentences, tagged) AS
    CASE
        WHEN parts.rule = 'full' OR parts.unit = '' THEN tagged
        WHEN parts.unit IN ('sentence', 'word') THEN
            CASE WHEN list_max(parts.numbers) < len(pieces)
                 THEN numbered(parts.numbers, len(pieces)) END
        ELSE drawn(parts.seed, structure_id, len(pieces),
            CASE parts.unit
                WHEN 'random' THEN len(list_where(sentences, tagged))
                ELSE len(words_of(array_to_string(list_where(sentences, tagged), ' '))) END) END;

-- the text that a rule leaves of pieces, ``part`` telling for each whether the rule is about it
CREATE OR REPLACE TEMP MACRO kept_pieces(rule, pieces, part) AS
    CASE WHEN part IS NOT NULL THEN array_to_string(
        CASE rule
            WHEN 'full' THEN pieces
            WHEN 'only' THEN list_where(pieces, part)
            WHEN 'mask' THEN list_transform(list_zip(pieces, part), lambda pair:
                CASE WHEN pair[2] THEN regexp_replace(pair[1], '[^ ]+', '[MASK]', 'g')
                     ELSE pair[1] END)
            ELSE list_where(pieces, list_transform(part, lambda is_part: NOT is_part)) END,
        ' ') END;

CREATE OR REPLACE TEMP MACRO texts(text_source, variant := 'full') AS TABLE
    SELECT structure_id, sha256(text) AS text_id, text
    FROM (
        SELECT structure_id, kept_pieces(parts.rule, pieces, part) AS text
        FROM (
            SELECT structure_id, parts, pieces,
                   variant_part(parts, structure_id, pieces, sentences, tagged) AS part
            FROM (
                SELECT *, variant_pieces(parts, sentences) AS pieces
                FROM (
                    SELECT structure_id, any_value(parts) AS parts,
                           -- cheaper than aggregates in order of position
                           list_grade_up(list(position)) AS places,
                           list_select(list(sentence), places) AS sentences,
                           list_select(
                               list(has_variant_tag(parts, tag, reference_tags)), places) AS tagged
                    FROM sentences JOIN (
                        -- asked of the generator that is meant: a condition is tried on others too
                        SELECT CASE WHEN variant_is_known(
                                        variant, parts, generator_id, g.tags, g.reference_tags)
                                    THEN generator_id END AS generator_id, parts
                        FROM (
                            SELECT *, variant_parts(variant) AS parts
                            FROM generators
                            WHERE generator_id = generator_of(text_source)
                        ) g
                    ) USING (generator_id)
                    GROUP BY structure_id
                )
            )
        )
    )
    WHERE text IS NOT NULL;

-- texts_of(generator, structure_ids, variants): the texts of single structures, each in a variant of
-- its own; the two lists are of one length, and the variants known to be well formed.
CREATE OR REPLACE TEMP MACRO texts_of(generator, structure_ids, variants) AS TABLE
    SELECT structure_id, variant, sha256(text) AS text_id, text
    FROM (
        SELECT structure_id, variant, kept_pieces(parts.rule, pieces, part) AS text
        FROM (
            SELECT *, variant_part(parts, structure_id, pieces, sentences, tagged) AS part
            FROM (
                SELECT *, variant_pieces(parts, sentences) AS pieces
                FROM (
                    SELECT s.structure_id, w.variant, any_value(w.parts) AS parts,
                           list(s.sentence ORDER BY s.position) AS sentences,
                           list(has_variant_tag(w.parts, s.tag, s.reference_tags)
                                ORDER BY s.position) AS tagged
                    FROM (
                        SELECT structure_id, variant, variant_parts(variant) AS parts
                        FROM (SELECT unnest(structure_ids) AS structure_id,
                                     unnest(variants) AS variant)
                    ) w
                    JOIN sentences s ON s.structure_id = w.structure_id
                    WHERE s.generator_id = generator
                    GROUP BY s.structure_id, w.variant
                )
            )
        )
    )
    WHERE text IS NOT NULL;
