import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { type ConstDirectiveNode, Kind, parse, parseConstValue, print, visit } from 'graphql';

/** Folder of the compatibility suite. */
export const suiteDir = dirname(
  createRequire(import.meta.url).resolve('@apollo/federation-subgraph-compatibility-tests/package.json'),
);

export const suiteText = (file: string) => readFileSync(join(suiteDir, file), 'utf8');

const authDirective: ConstDirectiveNode = {
  kind: Kind.DIRECTIVE,
  name: { kind: Kind.NAME, value: 'auth' },
  arguments: [
    { kind: Kind.ARGUMENT, name: { kind: Kind.NAME, value: 'requires' }, value: parseConstValue('["products:read"]') },
  ],
};

/** The suite's own schema with our `@auth` at every root field and entity, as the factory demands. */
export function productsSdl(): string {
  const guarded = visit(parse(suiteText('products.graphql')), {
    ObjectTypeDefinition: (node) =>
      node.directives?.some((one) => one.name.value === 'key')
        ? { ...node, directives: [...node.directives, authDirective] }
        : undefined,
    ObjectTypeExtension: (node) => {
      if (node.name.value === 'Query')
        return {
          ...node,
          fields: node.fields?.map((field) => ({ ...field, directives: [...(field.directives ?? []), authDirective] })),
        };
      return { ...node, directives: [...(node.directives ?? []), authDirective] };
    },
  });
  return `${print(guarded)}
directive @auth(requires: [String!]!, scope: AuthScope! = TENANT) on FIELD_DEFINITION | OBJECT
enum AuthScope { TENANT ROLE SUBJECT }
scalar DateTime scalar JSON scalar DurationMs`;
}
