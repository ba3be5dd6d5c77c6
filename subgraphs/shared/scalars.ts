import { GraphQLError, GraphQLScalarType, Kind, type ValueNode } from 'graphql';

const isoDateTime =
  /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$/;

function parseDateTime(value: unknown): Date {
  if (typeof value === 'string' && value.length <= 40 && isoDateTime.test(value)) {
    const date = new Date(value);
    const day = Number(value.slice(8, 10));
    // Date rolls 31 April over to 1 May; the calendar has no such day.
    const calendar = new Date(Date.UTC(Number(value.slice(0, 4)), Number(value.slice(5, 7)) - 1, day));
    // In UTC an offset may lead out of the years that have four digits, which the database knows.
    const year = date.getUTCFullYear();
    if (!Number.isNaN(date.getTime()) && calendar.getUTCDate() === day && year >= 1 && year <= 9_999) return date;
  }
  throw invalid('DateTime', 'an ISO 8601 date-time', value);
}

function invalid(type: string, expected: string, value: unknown): GraphQLError {
  return new GraphQLError(`${type}: expected ${expected}, got ${JSON.stringify(value)?.slice(0, 60)}`, {
    extensions: { code: 'BAD_USER_INPUT' },
  });
}

const DateTime = new GraphQLScalarType({
  name: 'DateTime',
  serialize(value) {
    if (value instanceof Date) return value.toISOString();
    if (typeof value === 'string') return value;
    throw invalid('DateTime', 'a Date or an ISO string', value);
  },
  parseValue: parseDateTime,
  parseLiteral: (node) => parseDateTime(node.kind === Kind.STRING ? node.value : undefined),
});

function jsonLiteral(node: ValueNode, variables: Record<string, unknown> | null | undefined): unknown {
  switch (node.kind) {
    case Kind.STRING:
    case Kind.BOOLEAN:
    case Kind.ENUM:
      return node.value;
    case Kind.INT:
    case Kind.FLOAT: {
      const number = Number(node.value);
      if (!Number.isFinite(number)) throw invalid('JSON', 'a number within the range of a double', node.value);
      return number;
    }
    case Kind.NULL:
      return null;
    case Kind.LIST:
      return node.values.map((item) => jsonLiteral(item, variables));
    case Kind.OBJECT:
      return Object.fromEntries(node.fields.map((field) => [field.name.value, jsonLiteral(field.value, variables)]));
    case Kind.VARIABLE:
      return variables?.[node.name.value];
  }
}

const JsonScalar = new GraphQLScalarType({
  name: 'JSON',
  serialize: (value) => value,
  parseValue: (value) => value,
  parseLiteral: jsonLiteral,
});

function parseDuration(value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw invalid('DurationMs', 'a whole number of milliseconds', value);
}

const DurationMs = new GraphQLScalarType({
  name: 'DurationMs',
  serialize(value) {
    if (typeof value === 'bigint') return Number(value);
    return parseDuration(value);
  },
  parseValue: parseDuration,
  parseLiteral: (node) => parseDuration(node.kind === Kind.INT ? Number(node.value) : undefined),
});

/** Resolvers of the scalars in schema/shared.graphql. */
export const scalars = { DateTime, JSON: JsonScalar, DurationMs };
