export * from '#shared/conditions/expression/compile.ts';
