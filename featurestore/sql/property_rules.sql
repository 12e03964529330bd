-- Sources of a property, taken together by rule (featurestore properties unite, prefer).

-- ruled_values: for every rule that a property has or had, the value of each material: that of the
-- first source, in the rule's order, that has one; ``rule`` is the rule as it stands in place of a
-- source
CREATE OR REPLACE TEMP VIEW ruled_values AS
    SELECT r.property, r.rule, p.material_id, p.value, p.unit, p.source
    FROM (SELECT DISTINCT property, rule, sources FROM property_rules WHERE way <> 'separate') r
    JOIN properties p ON p.property = r.property AND list_contains(r.sources, p.source)
    QUALIFY row_number() OVER (
        PARTITION BY r.property, r.rule, p.material_id ORDER BY list_position(r.sources, p.source)
    ) = 1;

-- property_conflicts: the materials for which the sources of a rule differ by more than its tolerance
CREATE OR REPLACE TEMP VIEW property_conflicts AS
    SELECT r.property, r.rule, p.material_id, max(p.value) - min(p.value) AS difference
    FROM (
        SELECT DISTINCT property, rule, sources, tolerance FROM property_rules WHERE way <> 'separate'
    ) r
    JOIN properties p ON p.property = r.property AND list_contains(r.sources, p.source)
    GROUP BY r.property, r.rule, p.material_id
    HAVING max(p.value) - min(p.value) > min(r.tolerance);
