import type { ModuleContext } from '#shared/context.ts';
import type { CoreLoaders } from './loaders.ts';
import type { CoreService } from './service.ts';

export type RequestContext = ModuleContext<CoreService, CoreLoaders>;
