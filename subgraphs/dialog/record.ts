export * from '#shared/record.ts';
