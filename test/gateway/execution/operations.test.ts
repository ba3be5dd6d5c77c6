import { parse } from 'graphql';
import { expect, test } from 'vitest';
import { createKnownOperations } from '../../../gateway/execution/operations.ts';

test('documents are known by their length: many short ones, or few long ones', () => {
  const document = parse('{ me { subject } }');
  const countKnown = (length: number): number => {
    const operations = createKnownOperations({ compile: () => null });
    const sources = Array.from({ length: 6_000 }, (_, index) => `{ me { subject } } #${index}`.padEnd(length, '#'));
    for (const source of sources) operations.note(source, document);
    expect(operations.find(sources.at(-1)!, null)).toBeDefined();
    return sources.filter((source) => operations.find(source, null) !== undefined).length;
  };
  expect(countKnown(50)).toBeGreaterThan(3_900);
  expect(countKnown(50)).toBeLessThan(4_000);
  expect(countKnown(20_000)).toBeGreaterThan(190);
  expect(countKnown(20_000)).toBeLessThan(200);
});
