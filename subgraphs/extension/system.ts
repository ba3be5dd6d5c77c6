import { createPrincipal, type Principal } from '#shared/principal.ts';

/** What the module does by itself; nobody's subject has this form. */
export const systemSubject = 'system:extension';

/** Acts for an extension that nobody called: with what the extension was granted and nothing else. */
export function hookPrincipal(tenantId: string, scopes: readonly string[]): Principal {
  return createPrincipal({ tenantId, subject: systemSubject, subjectType: 'service', roles: ['system'], scopes });
}
