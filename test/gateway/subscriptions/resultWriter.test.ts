import fc from 'fast-check';
import { parse } from 'graphql';
import { describe, expect, it } from 'vitest';
import { compileProjector, type ProjectorOptions } from '../../../gateway/subscriptions/projector.ts';
import { compileResultWriter } from '../../../gateway/subscriptions/resultWriter.ts';
import { findOperation } from '../../../gateway/subscriptions/selection.ts';
import { payloads, schema, selection } from './rig/selections.ts';

type CanFetch = ProjectorOptions['canFetch'];

/** What the writer writes, and what the projector answers where it is a result without errors that nothing lacks. */
function both(
  query: string,
  payload: Readonly<Record<string, unknown>>,
  canFetch: CanFetch = () => false,
): { written: string | undefined; projected: string | undefined } {
  const document = parse(query);
  const operation = findOperation(document);
  if (operation === undefined) throw new Error('one operation');
  const options = { schema, document, operation, variables: { yes: true, no: false }, canFetch };
  const { data, errors, missing } = compileProjector({ ...options, nulls: 'spread' })(payload);
  return {
    written: compileResultWriter(options)(payload),
    projected: errors.length === 0 && missing.length === 0 ? JSON.stringify({ data }) : undefined,
  };
}

const strings = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 80 }),
  fc.string({
    unit: fc.constantFrom('a', '"', '\\', '\n', '\u0000', '\u2028', '\ud800', '\udfff', 'é', '\u{1f600}'),
    maxLength: 80,
  }),
);
const anything = fc.anything({ withDate: true, withSparseArray: true, withObjectString: true });

describe('result writer', () => {
  it('writes what the projector answers, byte for byte, and nothing where it answers errors', () => {
    let written = 0;
    let left = 0;
    fc.assert(
      fc.property(selection('Event', 3), fc.constantFrom('event', 'maybe'), payloads, (selected, root, payload) => {
        const query = `subscription ($yes: Boolean = true, $no: Boolean!) { e: ${root} ${selected} ...Vars }
          fragment Vars on Subscription { e: ${root} { id @include(if: $yes) sequence @skip(if: $no) } }`;
        const { written: text, projected } = both(query, payload);
        expect(text).toBe(projected);
        if (text === undefined) left++;
        else written++;
      }),
      { numRuns: 400 },
    );
    expect(written).toBeGreaterThan(20);
    expect(left).toBeGreaterThan(20);
  });

  it('leaves to the projector whatever an owner has to be asked for', () => {
    let left = 0;
    fc.assert(
      fc.property(
        selection('Event', 2),
        payloads,
        fc.constantFrom('Event', 'Leaf', 'Branch'),
        (selected, payload, of) => {
          const canFetch: CanFetch = (typeName, source) => typeName === of && source['id'] !== undefined;
          const { written, projected } = both(
            `subscription { event ${selected.replaceAll('$yes', 'true').replaceAll('$no', 'false')} }`,
            payload,
            canFetch,
          );
          expect(written).toBe(projected);
          if (written === undefined) left++;
        },
      ),
      { numRuns: 200 },
    );
    expect(left).toBeGreaterThan(20);
  });

  it('escapes strings as JSON.stringify does', () => {
    fc.assert(
      fc.property(strings, strings, (text, color) => {
        const { written, projected } = both('subscription { event { id text color data } }', {
          id: text,
          text,
          color,
          data: { [text]: color },
        });
        expect(written).toBe(projected);
        expect(written).toBeDefined();
      }),
      { numRuns: 500 },
    );
  });

  it('never writes another text than the projector for values of any kind', () => {
    fc.assert(
      fc.property(anything, anything, (value, data) => {
        const payload = { id: value, sequence: value, text: value, colors: value, thing: value, grid: [[value]], data };
        for (const field of ['id', 'sequence', 'text', 'colors', 'thing { __typename }', 'grid', 'data']) {
          const query = `subscription { maybe { ${field} } }`;
          let projected: string | undefined;
          try {
            projected = both(query, payload).projected;
          } catch {
            // No JSON: a circle, a bigint. Neither has the writer any.
          }
          const document = parse(query);
          const operation = findOperation(document)!;
          const options = { schema, document, operation, variables: {}, canFetch: () => false };
          const written = compileResultWriter(options)(payload);
          if (written !== undefined) expect(written).toBe(projected);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('knows no text for values whose JSON depends on their place, nor for names that objects do not keep', () => {
    const odd = { toJSON: (name: string) => `in ${name}` };
    expect(both('subscription { event { data } }', { data: odd })).toEqual({
      written: undefined,
      projected: '{"data":{"event":{"data":"in data"}}}',
    });
    expect(both('subscription { event { __proto__: text text } }', { text: 'x' })).toEqual({
      written: undefined,
      projected: '{"data":{"event":{"text":"x"}}}',
    });
    expect(both('subscription { event { data } }', { data: () => 1 }).written).toBeUndefined();
  });

  it('writes selections that leave nothing, and type names alone', () => {
    expect(both('subscription { event { id @skip(if: true) } }', {}).written).toBe('{"data":{"event":{}}}');
    expect(both('subscription { event { __typename t: __typename } }', {}).written).toBe(
      '{"data":{"event":{"__typename":"Event","t":"Event"}}}',
    );
  });
});
