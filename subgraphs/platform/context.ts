import type { ModuleContext } from '#shared/context.ts';
import type { PlatformService } from './service.ts';

export type RequestContext = ModuleContext<PlatformService, Record<string, never>>;
