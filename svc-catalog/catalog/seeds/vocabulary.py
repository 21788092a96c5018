"""The words: categories with what is sold in them, brands, colours."""

from __future__ import annotations

from dataclasses import dataclass, field

CLOTHING_SIZES = ("XS", "S", "M", "L", "XL")
SHOE_SIZES = ("37", "38", "39", "40", "41", "42", "43", "44")
COLORS = {
    "Black": "#22252b",
    "White": "#f2f0ea",
    "Red": "#c8372d",
    "Blue": "#2c5aa0",
    "Navy": "#1d2c4d",
    "Green": "#3f7d4e",
    "Olive": "#6b6f3a",
    "Sand": "#d8c3a0",
    "Grey": "#8b9099",
    "Rose": "#d98a9b",
    "Mustard": "#d6a02b",
    "Teal": "#2b8a8a",
    "Walnut": "#7a5230",
    "Oak": "#c49a6c",
}
BRANDS = (
    "Nordlicht", "Aurora", "Kestrel", "Lumio", "Fjordline", "Tansei", "Brightwood", "Velora", "Oakfield", "Mirai",
    "Solenne", "Harbour & Pine", "Quillon", "Zephyr", "Ostara", "Kinto Works", "Alpenrose", "Hikari", "Marlow", "Cinder",
)  # fmt: skip
ADJECTIVES = (
    "Classic", "Everyday", "Compact", "Premium", "Essential", "Foldable", "Lightweight", "Heritage", "Studio", "Urban",
    "Soft", "Modern", "Slim", "Travel", "Signature", "Weekend",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Leaf:
    """A category that holds products. Prices in minor units, weights in grams; `picture` names a drawing."""

    name: str
    picture: str
    nouns: tuple[str, ...]
    prices: tuple[int, int]
    weights: tuple[int, int]
    materials: tuple[str, ...]
    colors: tuple[str, ...]
    sizes: tuple[str, ...] = ()
    size_name: str = "size"
    size_step: int = 0  # what each next size costs more
    uses: tuple[str, ...] = field(default=("every day", "a long weekend", "a present that lasts"))


@dataclass(frozen=True, slots=True)
class Root:
    name: str
    tint: tuple[str, str]
    leaves: tuple[Leaf, ...]


_ANY = ("Black", "White", "Grey", "Blue", "Red")
_SOFT = ("Sand", "Rose", "Teal", "Grey", "White", "Navy")
_FASHION = ("Black", "White", "Navy", "Olive", "Sand", "Red", "Rose")
_WOOD = ("Oak", "Walnut", "White", "Black")

ROOTS = (
    Root(
        "Electronics",
        ("#c9d6ea", "#5d7ba6"),
        (
            Leaf("Headphones", "headphones", ("Over-Ear Headphones", "Noise-Cancelling Headphones", "Studio Headphones"),
                 (3990, 32990), (180, 340), ("aluminium and memory foam", "recycled plastic"), _ANY,
                 uses=("long flights", "open-plan offices", "late-night listening")),
            Leaf("Speakers", "speaker", ("Bluetooth Speaker", "Bookshelf Speaker", "Shower Speaker"),
                 (2490, 24990), (400, 4200), ("bamboo and fabric", "aluminium"), ("Black", "Grey", "Teal", "Red")),
            Leaf("Smart Watches", "watch", ("Smart Watch", "Fitness Tracker", "GPS Sports Watch"),
                 (4990, 39990), (28, 62), ("stainless steel", "titanium"), ("Black", "Sand", "Navy", "Rose"),
                      ("40 mm", "44 mm"),
                 size_step=2000),
            Leaf("Storage Drives", "box", ("Portable SSD", "USB-C Drive", "Rugged SSD"),
                 (3990, 29990), (30, 120), ("aluminium", "silicone-coated steel"), ("Black", "Blue", "Grey"),
                 ("500 GB", "1 TB", "2 TB"), size_name="capacity", size_step=4000),
        ),
    ),
    Root(
        "Home & Living",
        ("#efe3d0", "#b58f63"),
        (
            Leaf("Lighting", "lamp", ("Desk Lamp", "Floor Lamp", "Bedside Lamp", "Pendant Light"),
                 (2490, 18990), (700, 5200), ("brushed steel", "linen and oak", "opal glass"),
                      ("Black", "White", "Mustard", "Oak")),
            Leaf("Bedding", "cushion", ("Duvet Set", "Bed Sheet", "Blanket", "Cushion Set"),
                 (1990, 15990), (500, 2400), ("washed linen", "organic cotton", "merino wool"), _SOFT,
                 ("Single", "Double", "King"), size_step=1500),
            Leaf("Storage & Shelves", "shelf", ("Wall Shelf", "Side Table", "Coat Rack", "Bookcase"),
                 (1490, 21990), (800, 14000), ("solid oak", "bamboo", "powder-coated steel"), _WOOD),
            Leaf("Decor", "vase", ("Vase", "Wall Clock", "Candle Holder", "Serving Bowl"),
                 (990, 8990), (200, 2100), ("stoneware", "brass", "recycled glass"), _SOFT),
        ),
    ),
    Root(
        "Kitchen",
        ("#f3ddd0", "#c4694a"),
        (
            Leaf("Cookware", "pot", ("Casserole", "Frying Pan", "Sauté Pan", "Wok"),
                 (2990, 19990), (900, 5400), ("cast iron", "triple-ply steel", "carbon steel"),
                      ("Black", "Red", "Teal", "Mustard"),
                 ("20 cm", "24 cm", "28 cm"), size_name="diameter", size_step=1000),
            Leaf("Coffee & Tea", "mug", ("Pour-Over Set", "Mug Set", "Tea Pot", "Milk Jug"),
                 (890, 12990), (180, 1400), ("stoneware", "porcelain", "stainless steel"), _SOFT),
            Leaf("Knives", "knife", ("Chef's Knife", "Bread Knife", "Paring Knife", "Santoku"),
                 (1990, 17990), (80, 260), ("high-carbon steel", "Damascus steel"), ("Black", "Walnut", "Oak")),
        ),
    ),
    Root(
        "Women's Fashion",
        ("#f4dbe2", "#b9647f"),
        (
            Leaf("Dresses", "dress", ("Wrap Dress", "Summer Dress", "Shirt Dress", "Evening Dress"),
                 (2990, 14990), (250, 600), ("linen", "viscose", "organic cotton"), _FASHION, CLOTHING_SIZES),
            Leaf("Knitwear", "sweater", ("Cardigan", "Crewneck Sweater", "Ribbed Turtleneck"),
                 (3990, 18990), (220, 560), ("merino wool", "cashmere", "alpaca blend"), _SOFT, CLOTHING_SIZES),
            Leaf("Bags", "bag", ("Tote Bag", "Crossbody Bag", "Backpack", "Clutch"),
                 (2490, 24990), (250, 1100), ("full-grain leather", "canvas", "recycled nylon"), _FASHION),
        ),
    ),
    Root(
        "Men's Fashion",
        ("#d5dde2", "#4d6475"),
        (
            Leaf("Shirts", "shirt", ("Button-Down Shirt", "Camp Collar Shirt", "Overshirt", "Grandad Shirt"),
                 (1990, 8990), (180, 380), ("oxford cotton", "linen", "brushed flannel"), _FASHION, CLOTHING_SIZES),
            Leaf("Jackets", "jacket", ("Field Jacket", "Quilted Jacket", "Overcoat", "Bomber Jacket"),
                 (5990, 29990), (450, 1600), ("waxed cotton", "recycled polyester", "wool blend"), _FASHION, CLOTHING_SIZES),
            Leaf("Shoes", "shoe", ("Court Sneakers", "Chelsea Boots", "High-Top Sneakers", "Loafers"),
                 (4990, 19990), (600, 1300), ("calf leather", "suede", "canvas"), ("Black", "White", "Navy", "Sand", "Olive"),
                 SHOE_SIZES),
        ),
    ),
    Root(
        "Sports & Outdoors",
        ("#d4ead9", "#3f8a5f"),
        (
            Leaf("Running", "shoe", ("Running Shoes", "Trail Running Shoes", "Road Racing Shoes"),
                 (5990, 18990), (200, 330), ("engineered mesh", "recycled knit"), ("Blue", "Red", "Black", "Teal"), SHOE_SIZES),
            Leaf("Camping", "tent", ("Two-Person Tent", "Sleeping Bag", "Hammock", "Trekking Tarp"),
                 (2990, 34990), (400, 3900), ("ripstop nylon", "silnylon", "recycled polyester"),
                      ("Green", "Olive", "Mustard", "Blue")),
            Leaf("Fitness", "ball", ("Yoga Mat", "Yoga Block", "Massage Roller", "Massage Ball"),
                 (990, 9990), (300, 16000), ("natural rubber", "cork"), ("Teal", "Rose", "Grey", "Black")),
            Leaf("Bottles & Flasks", "bottle", ("Insulated Bottle", "Sports Bottle", "Thermos Flask"),
                 (1290, 4990), (180, 520), ("stainless steel", "tritan", "borosilicate glass"), _ANY,
                 ("0.5 l", "0.75 l", "1 l"), size_name="volume", size_step=400),
        ),
    ),
    Root(
        "Beauty & Care",
        ("#f5e6ef", "#a676a8"),
        (
            Leaf("Skin Care", "jar", ("Face Cream", "Vitamin C Serum", "Hand Balm", "Clay Mask"),
                 (790, 6990), (60, 320), ("shea butter", "hyaluronic acid", "green clay"), ("White", "Rose", "Sand"),
                 ("50 ml", "100 ml"), size_name="volume", size_step=700),
            Leaf("Fragrance", "bottle", ("Eau de Parfum", "Body Mist", "Room Spray"),
                 (1990, 14990), (120, 420), ("cedar and bergamot", "fig and vetiver", "rose and amber"),
                      ("Rose", "Mustard", "Teal")),
        ),
    ),
    Root(
        "Toys & Games",
        ("#fbeac2", "#e0922f"),
        (
            Leaf("Wooden Toys", "blocks", ("Building Blocks", "Balance Board", "Wooden Train", "Stacking Rings"),
                 (1290, 8990), (300, 3200), ("beech wood", "maple wood"), ("Red", "Blue", "Mustard", "Green")),
            Leaf("Board Games", "box", ("Strategy Game", "Card Game", "Puzzle", "Dice Game"),
                 (990, 6990), (250, 1900), ("recycled card", "linen-finish card"), ("Navy", "Red", "Green", "Mustard"),
                 uses=("rainy afternoons", "family evenings", "two players and a pot of tea")),
        ),
    ),
)  # fmt: skip
