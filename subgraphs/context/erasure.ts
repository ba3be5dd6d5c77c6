import type { ErasureRules } from '#shared/erasure/rules.ts';
import { searchVector } from './store.ts';

export const contextErasure: ErasureRules = { search: { context: (row) => searchVector(row) } };
