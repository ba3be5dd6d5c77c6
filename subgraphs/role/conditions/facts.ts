export * from '#shared/conditions/facts.ts';
