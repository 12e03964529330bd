-- Functions of vectors. Each takes a vector column, a slice of one, a list of numbers or a query in
-- parentheses that gives one vector; two vectors must have the same width. All work in float32.
--
--   cosine_similarity(a, b)   1 for the same direction, -1 for the opposite one
--   cosine_distance(a, b)     1 - cosine_similarity
--   l2_distance(a, b)         Euclidean distance
--   dot(a, b)                 inner product
--   norm(a)                   Euclidean length
--   segment(vector, encoder, part)
--                             a named part of an encoder's vectors, for example 'atom'; see:
--                             SELECT encoder_id, unnest(segments) FROM encoders
--
-- The cosine of a vector of length zero is NULL.

-- the list drops a NaN without computing the cosine twice, as CASE would
CREATE OR REPLACE TEMP MACRO dot(a, b) AS list_dot_product(a::FLOAT[], b::FLOAT[]);

CREATE OR REPLACE TEMP MACRO norm(a) AS sqrt(list_dot_product(a::FLOAT[], a::FLOAT[]));

CREATE OR REPLACE TEMP MACRO cosine_similarity(a, b) AS
    list_filter([list_cosine_similarity(a::FLOAT[], b::FLOAT[])], lambda c: NOT isnan(c))[1];

CREATE OR REPLACE TEMP MACRO cosine_distance(a, b) AS 1 - cosine_similarity(a, b);

CREATE OR REPLACE TEMP MACRO l2_distance(a, b) AS list_distance(a::FLOAT[], b::FLOAT[]);

-- of several encoders of a name the promoted one is meant, or the only one that is not retired
CREATE OR REPLACE TEMP MACRO segment_of(encoder, wanted) AS (
    SELECT CASE
        WHEN count(*) = 1 THEN first(found)
        WHEN count(*) = 0 THEN error('no encoder ''' || encoder || ''' has a segment '''
                                     || wanted || '''')
        ELSE error('encoder ''' || encoder || ''' has several versions; name one by its id') END
    FROM (
        SELECT s.found,
               CASE WHEN s.encoder_id = encoder THEN 3
                    WHEN standing = 'promoted' THEN 2
                    WHEN standing = 'retired' THEN 0
                    ELSE 1 END AS rank
        FROM (SELECT encoder_id, name, unnest(segments) AS found FROM encoders) s
        LEFT JOIN standings ON id = s.encoder_id
        WHERE encoder IN (s.encoder_id, s.name, encoder_slug(s.name)) AND s.found.name = wanted
        QUALIFY rank > 0 AND rank = max(rank) OVER ()
    )
);

CREATE OR REPLACE TEMP MACRO segment(vector, encoder, part) AS
    (vector::FLOAT[])[segment_of(encoder, part).start + 1 : segment_of(encoder, part).stop];
