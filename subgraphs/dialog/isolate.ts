export * from '#shared/isolate.ts';
