import type { ContextLoaders } from './loaders.ts';
import type { ContextService } from './service.ts';
import type { ModuleContext } from '#shared/context.ts';

export type RequestContext = ModuleContext<ContextService, ContextLoaders>;
