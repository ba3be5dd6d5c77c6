import { PlatformError } from '#shared/errors.ts';
import type { Principal } from '#shared/principal.ts';
import type { Admission } from '../limits/admission.ts';
import type { AuditedAccess, Caller } from './auditedAccess.ts';

/** What a token costs that is none. */
const failedTokenCost = 100;

export interface ChargedAccess {
  /** @throws {RATE_LIMITED} where the address has spent its rate, whatever the token is. {UNAUTHENTICATED} {UNAVAILABLE} */
  authenticate(caller: Caller): Promise<Principal>;
}

/** Whoever tries tokens that are none pays for each, and is not heard for the rest of a window. */
export function createChargedAccess(
  access: Pick<AuditedAccess, 'authenticate'>,
  admission: Pick<Admission, 'chargeAddress'>,
): ChargedAccess {
  return {
    async authenticate(caller) {
      const address = caller.address ?? caller.remoteAddress ?? '';
      await admission.chargeAddress(address, 0);
      try {
        return await access.authenticate(caller);
      } catch (error) {
        // Where tokens cannot be verified at the moment nobody is told anything of theirs.
        const isUnverified = error instanceof PlatformError && error.code === 'UNAVAILABLE';
        if (!isUnverified) await admission.chargeAddress(address, failedTokenCost);
        throw error;
      }
    },
  };
}
