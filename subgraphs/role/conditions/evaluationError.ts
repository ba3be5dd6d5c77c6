export * from '#shared/conditions/evaluationError.ts';
