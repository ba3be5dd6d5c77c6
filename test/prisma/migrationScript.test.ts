import { expect, test } from 'vitest';
import { lineOf, runsOutsideTransaction } from '../../prisma/migrationScript.ts';

test.each([
  'CREATE INDEX CONCURRENTLY i ON t (a)',
  'create index\n  concurrently i on t (a);',
  'BEGIN;\nCREATE TABLE a ();\nCOMMIT;',
  'START TRANSACTION; SELECT 1; ROLLBACK',
  "SELECT 'it''s'; VACUUM",
  'ALTER SYSTEM SET work_mem = 1',
])('outside a transaction: %s', (script) => {
  expect(runsOutsideTransaction(script)).toBe(true);
});

test.each([
  'CREATE TABLE a ();',
  '-- CREATE INDEX CONCURRENTLY\nSELECT 1',
  '/* COMMIT; /* nested */ VACUUM */ SELECT 1',
  "INSERT INTO log VALUES ('it''s COMMIT; VACUUM')",
  'CREATE TABLE "commit" ("vacuum" int)',
  'DO $$ BEGIN; COMMIT; END $$;',
  'CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $body$ BEGIN; $$ COMMIT $$; END $body$',
  'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END',
  'CREATE TABLE committed (rollbacks int)',
])('inside a transaction: %s', (script) => {
  expect(runsOutsideTransaction(script)).toBe(false);
});

test('lines count as an editor counts them', () => {
  const script = "SELECT '😀';\nSELECT oops;\n";
  expect(lineOf(script, 1)).toBe(1);
  expect(lineOf(script, [...script].indexOf('o') + 1)).toBe(2);
});
