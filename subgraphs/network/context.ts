import type { ModuleContext } from '#shared/context.ts';
import type { NetworkLoaders } from './loaders.ts';
import type { NetworkService } from './service.ts';

export type RequestContext = ModuleContext<NetworkService, NetworkLoaders>;
