/** State that one extension may keep, bytes; its manifest may say less. */
export const maxStateBytes = 1_048_576;
