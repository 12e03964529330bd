-- Formulas and chemical systems, in whatever order their elements are written.
--
--   formula(text)   the formula as the column `formula` of materials has it: formula('INa') is
--                   'NaI', formula('O4Fe3') is 'Fe3O4', formula('Ca2(OH)4') is 'Ca(HO)2'
--   chemsys(text)   the elements of a formula or a list, as the column `chemsys` of materials has
--                   them, in the order of the alphabet: chemsys('Na-Cl') is 'Cl-Na'
--
-- A formula is reduced and has its elements in the order of their electronegativity, two that end it
-- in brackets where they share a factor, as pymatgen writes it: NaI, Fe3O4, Ca3(PO4)2. Text that is
-- none is an error.

-- Pauling's scale, as pymatgen has it; elements without a value come last
CREATE OR REPLACE TEMP MACRO electronegativity(symbol) AS coalesce(MAP {
    'Fr': 0.7, 'Cs': 0.79, 'K': 0.82, 'Rb': 0.82, 'Ba': 0.89, 'Ra': 0.9, 'Na': 0.93, 'Sr': 0.95,
    'Li': 0.98, 'Ca': 1, 'Ac': 1.1, 'La': 1.1, 'Tb': 1.1, 'Yb': 1.1, 'Ce': 1.12, 'Pm': 1.13,
    'Pr': 1.13, 'Nd': 1.14, 'Sm': 1.17, 'Eu': 1.2, 'Gd': 1.2, 'Dy': 1.22, 'Y': 1.22, 'Ho': 1.23,
    'Er': 1.24, 'Tm': 1.25, 'Lu': 1.27, 'Pu': 1.28, 'Am': 1.3, 'Bk': 1.3, 'Cf': 1.3, 'Cm': 1.3,
    'Es': 1.3, 'Fm': 1.3, 'Hf': 1.3, 'Lr': 1.3, 'Md': 1.3, 'No': 1.3, 'Th': 1.3, 'Mg': 1.31,
    'Zr': 1.33, 'Np': 1.36, 'Sc': 1.36, 'U': 1.38, 'Pa': 1.5, 'Ta': 1.5, 'Ti': 1.54, 'Mn': 1.55,
    'Be': 1.57, 'Nb': 1.6, 'Al': 1.61, 'Tl': 1.62, 'V': 1.63, 'Zn': 1.65, 'Cr': 1.66, 'Cd': 1.69,
    'In': 1.78, 'Ga': 1.81, 'Fe': 1.83, 'Co': 1.88, 'Cu': 1.9, 'Re': 1.9, 'Si': 1.9, 'Tc': 1.9,
    'Ni': 1.91, 'Ag': 1.93, 'Sn': 1.96, 'Hg': 2, 'Po': 2, 'Ge': 2.01, 'Bi': 2.02, 'B': 2.04,
    'Sb': 2.05, 'Te': 2.1, 'Mo': 2.16, 'As': 2.18, 'P': 2.19, 'At': 2.2, 'H': 2.2, 'Ir': 2.2,
    'Os': 2.2, 'Pd': 2.2, 'Rn': 2.2, 'Ru': 2.2, 'Pt': 2.28, 'Rh': 2.28, 'Pb': 2.33, 'W': 2.36,
    'Au': 2.54, 'C': 2.55, 'Se': 2.55, 'S': 2.58, 'Xe': 2.6, 'I': 2.66, 'Br': 2.96, 'Kr': 3,
    'N': 3.04, 'Cl': 3.16, 'O': 3.44, 'F': 3.98
}[symbol], 'inf'::DOUBLE);

CREATE OR REPLACE TEMP MACRO amount_of(token) AS
    coalesce(try_cast(regexp_extract(token, '[0-9]+$') AS BIGINT), 1);

-- as in Fe3 for ('Fe', 3)
CREATE OR REPLACE TEMP MACRO written_amounts(amounts, divisor) AS array_to_string(
    list_transform(amounts, lambda a:
        a.e || CASE WHEN a.n = divisor THEN '' ELSE CAST(a.n // divisor AS VARCHAR) END), '');

-- from element and amount of each, in the order in which they are written
CREATE OR REPLACE TEMP MACRO written_formula(amounts) AS list_transform([amounts], lambda s:
    list_transform([
        CASE WHEN len(s) > 2 AND s[-1].x - s[-2].x < 1.65 THEN gcd(s[-1].n, s[-2].n) ELSE 1 END
    ], lambda shared:
        CASE WHEN shared = 1 THEN written_amounts(s, 1)
             ELSE written_amounts(s[: -3], 1) || '(' || written_amounts(s[-2 :], shared) || ')'
                  || CAST(shared AS VARCHAR) END)[1])[1];

-- gases of two atoms and peroxides keep their molecules; no IN: it would become a join that is made
-- for every query of materials, with the formula or without
CREATE OR REPLACE TEMP MACRO with_molecules(written) AS
    regexp_replace(regexp_replace(written, '^(O|N|F|Cl|H)$', '\12'),
                   '^(Li|Na|K|Rb|Cs|H)O$', '\12O2');

-- of the stored formula: reduced, each element once
CREATE OR REPLACE TEMP MACRO formula_of_stored(stored) AS CASE
    WHEN NOT regexp_full_match(stored, '([A-Z][a-z]?[0-9]*)+') THEN stored
    ELSE with_molecules(written_formula(
        list_sort(list_transform(regexp_extract_all(stored, '[A-Z][a-z]?[0-9]*'), lambda t:
            {'x': electronegativity(regexp_extract(t, '[A-Za-z]+')),
             'e': regexp_extract(t, '[A-Za-z]+'),
             'n': amount_of(t)})))) END;

-- each token as often as it stands, with the factor of its brackets
CREATE OR REPLACE TEMP MACRO formula_tokens(text) AS flatten(list_transform(
    regexp_extract_all(text, '\([^()]*\)[0-9]*|[A-Z][a-z]?[0-9]*'), lambda part:
        list_transform(regexp_extract_all(part, '[A-Z][a-z]?[0-9]*'), lambda t:
            {'e': regexp_extract(t, '[A-Za-z]+'),
              'n': amount_of(t) * CASE WHEN part[1] = '(' THEN amount_of(part) ELSE 1 END})));

CREATE OR REPLACE TEMP MACRO formula_amounts(tokens) AS list_transform(
    list_distinct(list_transform(tokens, lambda t: t.e)), lambda symbol:
        {'x': electronegativity(symbol),
         'e': symbol,
         'n': CAST(list_sum(list_transform(
              list_filter(tokens, lambda t: t.e = symbol), lambda t: t.n)) AS BIGINT)});

CREATE OR REPLACE TEMP MACRO formula(text) AS CASE
    WHEN NOT regexp_full_match(replace(text, ' ', ''),
                               '(([A-Z][a-z]?[0-9]*)|(\(([A-Z][a-z]?[0-9]*)+\)[0-9]*))+')
    THEN error('''' || text || ''' is no formula of whole numbers')
    ELSE with_molecules(list_transform(
        [formula_amounts(formula_tokens(replace(text, ' ', '')))], lambda amounts:
        list_transform([list_reduce(list_transform(amounts, lambda a: a.n),
                                    lambda a, b: gcd(a, b), 0::BIGINT)], lambda divisor:
            written_formula(list_sort(list_transform(amounts, lambda a:
                {'x': a.x, 'e': a.e, 'n': a.n // divisor}))))[1])[1]) END;

CREATE OR REPLACE TEMP MACRO chemsys(text) AS CASE
    WHEN NOT regexp_full_match(text, '([A-Z][a-z]?|[0-9(), -])+')
    THEN error('''' || text || ''' is no list of elements')
    ELSE array_to_string(
        list_sort(list_distinct(regexp_extract_all(text, '[A-Z][a-z]?'))), '-') END;
