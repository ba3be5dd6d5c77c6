import { type FieldNode, type FragmentDefinitionNode, Kind, parse } from 'graphql';
import { expect, it } from 'vitest';
import { selectedFields } from '#shared/selectedFields.ts';
import type * as contexts from '../../subgraphs/context/contextColumnsOf.ts';
import type * as messages from '../../subgraphs/dialog/reads/messageColumns.ts';
import { messageColumns } from '../../subgraphs/dialog/store/messages.ts';

interface Modules {
  '../../subgraphs/dialog/reads/messageColumns.ts': typeof messages;
  '../../subgraphs/context/contextColumnsOf.ts': typeof contexts;
}

/** A second instance of a module, which has remembered nothing yet. */
function anew<Path extends keyof Modules>(path: Path): Promise<Modules[Path]> {
  return import(`${path}?anew`) as Promise<Modules[Path]>;
}

/** As a resolver of the operation's first field is told. */
function infoOf(text: string) {
  const document = parse(text);
  const fragments: Record<string, FragmentDefinitionNode> = {};
  const fieldNodes: FieldNode[] = [];
  for (const node of document.definitions) {
    if (node.kind === Kind.FRAGMENT_DEFINITION) fragments[node.name.value] = node;
    if (node.kind === Kind.OPERATION_DEFINITION) fieldNodes.push(node.selectionSet.selections[0] as FieldNode);
  }
  return { fieldNodes, fragments };
}

it('finds fields by name, through fragments, at each path, whatever conditions say', () => {
  const info = infoOf(
    'query ($c: Boolean!) { list { a: totalCount edges @skip(if: $c) { node { id ...F } } nodes { ... on M { text } } } } fragment F on M { x: sender { name } ... @include(if: $c) { kind } }',
  );
  expect([...selectedFields(info, '')]).toEqual(['totalCount', 'edges', 'nodes']);
  expect([...selectedFields(info, 'edges.node')]).toEqual(['id', 'sender', 'kind']);
  expect([...selectedFields(info, 'edges.node', 'nodes')].sort()).toEqual(['id', 'kind', 'sender', 'text']);
  expect([...selectedFields(info, 'edges.node.sender')]).toEqual(['name']);
  expect([...selectedFields(info, 'nothing.here')]).toEqual([]);
});

it('makes few statements however many selections clients think of', async () => {
  // What was selected is remembered by the module: this test counts from nothing, in modules of its own.
  const { selectMessageColumns } = await anew('../../subgraphs/dialog/reads/messageColumns.ts');
  const { contextColumnsOf } = await anew('../../subgraphs/context/contextColumnsOf.ts');
  const fields = (names: readonly string[], bits: number) =>
    ['id', ...names.filter((_, place) => (bits >> place) & 1)].join(' ');
  const ofMessage = 'type role topic priority revision editedAt deletedBy senderId sentAt'.split(' ');
  const ofContext = 'title summary status type domain tags priority category updatedBy'.split(' ');
  const lists = new Set<string>();
  const sets = new Set<ReadonlySet<string> | undefined>();
  for (let bits = 0; bits < 512; bits += 1) {
    lists.add(selectMessageColumns(infoOf(`{ list { nodes { ${fields(ofMessage, bits)} } } }`), 'nodes'));
    sets.add(contextColumnsOf(infoOf(`{ list { nodes { ${fields(ofContext, bits)} } } }`), 'nodes'));
  }
  expect([lists.size, lists.has(messageColumns)]).toEqual([201, true]);
  expect([sets.size, sets.has(undefined)]).toEqual([201, true]);
});
