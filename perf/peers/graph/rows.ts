/** The rows of the foreign graph: few, the same in every process, and no waiting for them. */
export interface UserRow {
  readonly id: string;
  readonly name: string;
  readonly username: string;
  readonly birthYear: number;
}

export interface ProductRow {
  readonly upc: string;
  readonly name: string;
  readonly price: number;
  readonly weight: number;
}

export interface ReviewRow {
  readonly id: string;
  readonly body: string;
  readonly rating: number;
  readonly authorId: string;
  readonly upc: string;
}

const userCount = 10;
const productCount = 20;
const reviewsPerProduct = 3;

const firstNames = ['Aino', 'Boris', 'Chidi', 'Dalia', 'Emre', 'Freja', 'Goran', 'Hana', 'Imani', 'Jorge'];
const things = ['lamp', 'chair', 'table', 'shelf', 'rug', 'mirror', 'clock', 'vase', 'stool', 'bench'];

export const users: readonly UserRow[] = Array.from({ length: userCount }, (_, index) => ({
  id: `u${index + 1}`,
  name: `${firstNames[index % firstNames.length]} Example`,
  username: `@${firstNames[index % firstNames.length]!.toLowerCase()}`,
  birthYear: 1960 + index * 3,
}));

export const products: readonly ProductRow[] = Array.from({ length: productCount }, (_, index) => ({
  upc: `p${index + 1}`,
  name: `${index % 2 === 0 ? 'Oak' : 'Steel'} ${things[index % things.length]} no. ${index + 1}`,
  price: 150 + index * 137,
  weight: 40 + index * 90,
}));

export const reviews: readonly ReviewRow[] = products.flatMap(({ upc, name }, product) =>
  Array.from({ length: reviewsPerProduct }, (_, index) => ({
    id: `r${product * reviewsPerProduct + index + 1}`,
    body: `${['It holds.', 'Smaller than it looks “on paper”.', 'Bought it again – gladly.'][index]} (${name})`,
    rating: 1 + ((product + index * 2) % 5),
    authorId: users[(product * 7 + index * 3) % userCount]!.id,
    upc,
  })),
);

export const userById: ReadonlyMap<string, UserRow> = new Map(users.map((user) => [user.id, user]));
export const productByUpc: ReadonlyMap<string, ProductRow> = new Map(products.map((product) => [product.upc, product]));
export const reviewById: ReadonlyMap<string, ReviewRow> = new Map(reviews.map((review) => [review.id, review]));
export const reviewsByAuthor: ReadonlyMap<string, readonly ReviewRow[]> = Map.groupBy(reviews, (row) => row.authorId);
export const reviewsByProduct: ReadonlyMap<string, readonly ReviewRow[]> = Map.groupBy(reviews, (row) => row.upc);

export function isInStock(upc: string): boolean {
  return Number(upc.slice(1)) % 3 !== 0;
}

/** Dear products are sent for nothing, others for half of their weight. */
export function shippingEstimateOf({ price, weight }: Pick<ProductRow, 'price' | 'weight'>): number {
  return price > 1_000 ? 0 : Math.round(weight / 2);
}
