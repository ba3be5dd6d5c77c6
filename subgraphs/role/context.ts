import type { ModuleContext } from '#shared/context.ts';
import type { RoleLoaders } from './loaders.ts';
import type { RoleService } from './service.ts';

export type RequestContext = ModuleContext<RoleService, RoleLoaders>;
