/** Keeps the traces that follow contexts and runs; nobody's subject has this form. */
export const keeper = 'system:trace';
