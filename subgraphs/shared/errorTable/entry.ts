/** `status` is what a plain HTTP answer carries, `retryable` whether the same call may succeed later unchanged. */
export interface ErrorEntry {
  readonly status: number;
  readonly retryable: boolean;
  readonly description: string;
}

export type ErrorEntries = Readonly<Record<string, ErrorEntry>>;
