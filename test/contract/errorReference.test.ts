import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { errorTable } from '#shared/errors.ts';
import { errorParts, errorReferenceFile, renderErrorReference } from '../../schema/errorReference.ts';

describe('the table of errors', () => {
  it('has each code in one part', () => {
    const codes = errorParts.flatMap(({ entries }) => Object.keys(entries));
    expect(codes.toSorted()).toEqual(Object.keys(errorTable).toSorted());
  });

  it('is what the documentation shows', async () => {
    const written = await readFile(errorReferenceFile, 'utf8');
    expect(written).toBe(renderErrorReference());
    for (const [code, { status }] of Object.entries(errorTable)) expect(written).toContain(`| ${code} | ${status} |`);
  });
});
