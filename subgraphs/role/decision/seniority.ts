/** Lowest first. */
export const seniorities = ['junior', 'mid', 'senior', 'lead', 'executive'] as const;
export type Seniority = (typeof seniorities)[number];
