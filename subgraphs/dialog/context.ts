import type { ModuleContext } from '#shared/context.ts';
import type { DialogLoaders } from './loaders.ts';
import type { DialogService } from './service.ts';

export type RequestContext = ModuleContext<DialogService, DialogLoaders>;
