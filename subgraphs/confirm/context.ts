import type { ModuleContext } from '#shared/context.ts';
import type { ConfirmLoaders } from './loaders.ts';
import type { ConfirmService } from './service.ts';

export type RequestContext = ModuleContext<ConfirmService, ConfirmLoaders>;
