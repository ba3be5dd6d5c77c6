import type { Once } from '#shared/once.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { createApiTokens } from './apiTokens.ts';
import { createEncryption } from './encryption.ts';
import { createKeyring } from './keyring.ts';
import { loadMasterKeys, type MasterKeys } from './masterKeys.ts';
import { createRevocations } from './revocations.ts';
import { createVaultKeys, withEarlierKeys } from './vaultKeys.ts';

/** Tokens, what is revoked of them, and the keys under which secrets are kept. */
export function createSecurity({ sql, config, authorizer, logger }: ModuleRuntime, once: Once) {
  let masterKeys: MasterKeys | null | undefined;
  const readMasterKeys = (): MasterKeys | null => {
    if (masterKeys !== undefined) return masterKeys;
    const { ENCRYPTION_VAULT_URL: url, ENCRYPTION_VAULT_TOKEN_FILE: tokenFile, ENCRYPTION_KEY_FILE: file } = config;
    const loadFile = () => loadMasterKeys({ file, dataDir: config.dataDir, production: config.production });
    if (url === undefined) masterKeys = loadFile();
    else {
      if (tokenFile === undefined) throw new Error('ENCRYPTION_VAULT_URL asks for ENCRYPTION_VAULT_TOKEN_FILE');
      const { ENCRYPTION_VAULT_KEY: key, ENCRYPTION_VAULT_MOUNT: mount } = config;
      masterKeys = withEarlierKeys(
        createVaultKeys({ url, key, mount, tokenFile }),
        file === undefined ? null : loadFile(),
      );
    }
    return masterKeys;
  };
  // A file that is named and cannot be used is found at the start; one of our own is made when it is first needed.
  if (config.ENCRYPTION_KEY_FILE !== undefined || config.ENCRYPTION_VAULT_URL !== undefined) readMasterKeys();
  const keyring = createKeyring({ sql, masterKeys: readMasterKeys });
  const revocations = createRevocations({ sql, once });
  const apiTokens = createApiTokens({
    ...{ sql, once, authorizer, revocations },
    maxPerSubject: config.API_TOKENS_PER_SUBJECT,
  });
  return {
    keyring,
    revocations,
    apiTokens,
    encryption: createEncryption({ ...{ sql, once, keyring, logger }, dataKeyDays: config.DATA_KEY_DAYS }),
    async sweep(): Promise<void> {
      await revocations.sweep();
      await apiTokens.sweep();
    },
  };
}
