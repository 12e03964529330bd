-- Properties of classes (featurestore/classes.py): their unit is 'boolean', or 'category ["a","b"]',
-- and their values are the places of the classes, from 0.

-- class_name(value, unit): the class that a value is the place of; NULL for a property of numbers
CREATE OR REPLACE TEMP MACRO class_name(value, unit) AS
    CASE
        WHEN unit = 'boolean' THEN CASE value WHEN 0 THEN 'false' WHEN 1 THEN 'true' END
        WHEN unit LIKE 'category [%' AND value >= 0
        THEN json_extract_string(substr(unit, 10), '$[' || CAST(CAST(value AS BIGINT) AS VARCHAR) || ']')
    END;

-- class_values: the values of all properties of classes, by name
CREATE OR REPLACE TEMP VIEW class_values AS
    SELECT material_id, property, source, class_name(value, unit) AS class
    FROM properties
    WHERE unit = 'boolean' OR unit LIKE 'category [%';

-- class_predictions: what models of classes say of their folds: names in place of numbers, the
-- probability of the class that is predicted, and of each class in the order of the unit
CREATE OR REPLACE TEMP VIEW class_predictions AS
    SELECT p.model_id, m.property, p.material_id, p.fold,
           class_name(p.target, m.unit) AS target, class_name(p.prediction, m.unit) AS prediction,
           p.probabilities[CAST(p.prediction AS BIGINT) + 1] AS probability,
           p.probabilities, p.class_set
    FROM predictions p JOIN models m USING (model_id)
    WHERE p.probabilities IS NOT NULL;
