import type { ModuleContext } from '#shared/context.ts';
import type { TraceLoaders } from './loaders.ts';
import type { TraceService } from './service.ts';

export type RequestContext = ModuleContext<TraceService, TraceLoaders>;
