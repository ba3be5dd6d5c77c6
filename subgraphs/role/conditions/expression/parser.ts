export * from '#shared/conditions/expression/parser.ts';
