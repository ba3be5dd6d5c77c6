import { keepCompiled, writeCompiled } from '#shared/compileCache.ts';

keepCompiled();
await import('./run.ts');
writeCompiled();
