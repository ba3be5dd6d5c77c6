export * from '#shared/conditions/clearance.ts';
