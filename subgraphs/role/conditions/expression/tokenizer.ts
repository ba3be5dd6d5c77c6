export * from '#shared/conditions/expression/tokenizer.ts';
