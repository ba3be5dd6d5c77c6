import type { PlatformService } from './service.ts';
import type { ModuleContext } from '#shared/context.ts';

export type RequestContext = ModuleContext<PlatformService, Record<string, never>>;
