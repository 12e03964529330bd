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

-- What takes the text apart is featurestore/query/formulas.py.

CREATE OR REPLACE TEMP MACRO formula(text) AS
    CASE WHEN typed_formula(text) = ''
         THEN error('''' || text || ''' is no formula of whole numbers')
         ELSE typed_formula(text) END;

CREATE OR REPLACE TEMP MACRO chemsys(text) AS
    CASE WHEN typed_chemsys(text) = ''
         THEN error('''' || text || ''' is no list of elements')
         ELSE typed_chemsys(text) END;
