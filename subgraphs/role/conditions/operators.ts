export * from '#shared/conditions/operators.ts';
