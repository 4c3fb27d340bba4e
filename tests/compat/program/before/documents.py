"""The documents of the help desk, kept in the way of a vector store's collection."""

DOCUMENTS = {
    "doc-returns": "Returns are taken back within a month. Pack them well, and ask the desk for a label.",
    "doc-delivery": "Delivery takes two days. All parcels leave the hall at five.",
    "doc-payment": "Payment is made by card. Notes and coins are not taken.",
    "doc-warranty": "Warranty lasts for two years. Keep the slip that came with the goods.",
    "doc-repairs": "Repairs are made on the spot. You get an offer first.",
    "doc-accounts": "Accounts are closed by letter. None of it is kept.",
    "doc-password": "Password and name are sent by mail. They work for one hour.",
    "doc-invoices": "Invoices lie in a box on the desk. They can be had twice.",
    "doc-presents": "Presents come in red paper. A card with three lines is free.",
    "doc-vouchers": "Vouchers end after three years. What is left stays yours.",
    "doc-recycling": "Recycling is free. Just hand the old kettle to us.",
    "doc-filters": "Filters are in stock for ten years. Lids, too.",
}


class Collection:
    """What the generator of training data needs of a store: get(ids=...)."""

    def __init__(self, texts=DOCUMENTS):
        self.texts = texts

    def get(self, ids=None):
        ids = [name for name in (ids or self.texts) if name in self.texts]
        return {"ids": ids, "documents": [self.texts[name] for name in ids]}
