import type { ModuleContext } from '#shared/context.ts';
import type { PlanLoaders } from './loaders.ts';
import type { PlanService } from './service.ts';

export type RequestContext = ModuleContext<PlanService, PlanLoaders>;
