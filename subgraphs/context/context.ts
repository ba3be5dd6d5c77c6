import type { ModuleContext } from '#shared/context.ts';
import type { ContextLoaders } from './loaders.ts';
import type { ContextService } from './service.ts';

export type RequestContext = ModuleContext<ContextService, ContextLoaders>;
