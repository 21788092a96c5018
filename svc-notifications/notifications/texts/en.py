from notifications.texts.base import Language, Text

LANGUAGE = Language(
    code="en",
    greeting="Hello,",
    greeting_by_name="Hello {name},",
    link_hint="If the button does not work, open this address:",
    money_back="What you paid for it goes back to you.",
    footer="You get this message because of your account with us. It was sent automatically.",
    labels={
        "number": "Order",
        "item_count": "Items",
        "total": "Total",
        "carrier": "Carrier",
        "tracking_number": "Tracking number",
        "amount": "Amount",
    },
    texts={
        "welcome": Text(
            title="Welcome! Please confirm your e-mail address",
            body="Your account is ready. Confirm that this address is yours, so that nobody else can use it.",
            action="Confirm address",
            note="You did not open an account with us? Then ignore this message: without the confirmation the address "
            "does not count as yours.",
        ),
        "welcome:verified": Text(
            title="Welcome!",
            body="Your account is ready and your e-mail address is confirmed.",
            action="To the shop",
        ),
        "address_in_use": Text(
            title="You already have an account with us",
            body="Somebody has just tried to open an account with this e-mail address, which already has one. "
            "Nothing was changed. If it was you, simply sign in; a forgotten password can be reset there.",
            action="Sign in",
            note="It was not you? Then there is nothing to do.",
        ),
        "verify_email": Text(
            title="Please confirm your e-mail address",
            body="Confirm that this address is yours with one click.",
            action="Confirm address",
            note="You did not ask for this? Then ignore this message.",
        ),
        "password_reset": Text(
            title="Choose a new password",
            body="You asked for a new password. The link below lets you choose one; it works once and for a short time.",
            action="Choose a new password",
            note="You did not ask for this? Then ignore this message: your password stays as it is.",
        ),
        "order_placed": Text(
            title="We have your order {number}",
            body="It is reserved for you until it is paid. Total: {total}.",
            action="To the order",
        ),
        "order_placed:free": Text(
            title="We have received your order {number}",
            body="It costs nothing, so there is nothing to pay.",
            action="View order",
        ),
        "order_confirmed": Text(
            title="Your order {number} is confirmed",
            body="Thank you! Your payment has arrived, and we are getting your order ready.",
            action="To the order",
        ),
        "order_confirmed:free": Text(
            title="Your order {number} is confirmed",
            body="Thank you! There is nothing to pay, and we are preparing your order.",
            action="View order",
        ),
        "order_cancelled": Text(
            title="Your order {number} was cancelled",
            body="The order was cancelled.",
            action="To the order",
        ),
        "order_cancelled:buyer": Text(
            title="Your order {number} was cancelled",
            body="We cancelled the order as you asked.",
            action="To the order",
        ),
        "order_cancelled:expired": Text(
            title="Your order {number} was cancelled",
            body="The order was not paid in time, so we let it go. You can order again at any time.",
            action="To the order",
        ),
        "order_cancelled:replaced": Text(
            title="Your order {number} was replaced",
            body="You placed a new order from the same cart, so this unpaid one was cancelled.",
            action="To the order",
        ),
        "order_cancelled:out_of_stock": Text(
            title="Your order {number} was cancelled",
            body="We are sorry: something in your order is sold out. What you paid for it goes back to you.",
            action="To the order",
        ),
        "order_shipped": Text(
            title="Your order {number} is on its way",
            body="We handed your parcel to {carrier}. Tracking number: {tracking_number}.",
            action="To the order",
        ),
        "order_delivered": Text(
            title="Your order {number} has arrived",
            body="Your parcel was delivered. We hope that you like what is in it.",
            action="To the order",
        ),
        "order_refunded": Text(
            title="Your money for order {number} is on its way back",
            body="We sent {amount} back to you, the same way as you paid. It can take a few days to arrive.",
            action="To the order",
        ),
        "order_return_rejected": Text(
            title="We cannot take back what you wanted to return from your order {number}",
            body="We have looked at your return and cannot accept it. You will find the reason with your order.",
            action="View order",
        ),
        "payment_attempt_failed": Text(
            title="Your payment did not go through",
            body="The payment of {amount} was declined. Your order is still reserved: please try another way to pay.",
            action="To the order",
        ),
        "cart_reminder": Text(
            title="You left something in your cart",
            body="It is still there, but not reserved for you: others can buy it too.",
            action="Go to your cart",
            note="Prices are those of today, without shipping.",
        ),
    },
)
