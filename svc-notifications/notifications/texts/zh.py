# ruff: noqa: RUF001 - Chinese punctuation is what is meant
from notifications.texts.base import Language, Text

LANGUAGE = Language(
    code="zh",
    greeting="您好：",
    greeting_by_name="{name}，您好：",
    link_hint="如果按钮无法使用，请打开以下地址：",
    money_back="您已支付的款项将退还给您。",
    footer="您收到此邮件，是因为您在本店有账户。此邮件由系统自动发送。",
    labels={
        "number": "订单号",
        "item_count": "商品数量",
        "total": "总计",
        "carrier": "承运商",
        "tracking_number": "运单号",
        "amount": "金额",
    },
    texts={
        "welcome": Text(
            title="欢迎！请确认您的电子邮箱",
            body="您的账户已经开通。请确认此邮箱属于您，以免被他人使用。",
            action="确认邮箱",
            note="如果您没有在本店注册账户，请忽略此邮件：未经确认，此邮箱不会被视为您的邮箱。",
        ),
        "welcome:verified": Text(
            title="欢迎！",
            body="您的账户已经开通，电子邮箱也已确认。",
            action="进入商店",
        ),
        "address_in_use": Text(
            title="您已经有一个账户",
            body="刚才有人试图用此邮箱注册账户，但该邮箱已有账户。我们没有做任何更改。"
            "如果是您本人，请直接登录；忘记密码可以在登录页面重置。",
            action="登录",
            note="如果不是您本人，则无需任何操作。",
        ),
        "verify_email": Text(
            title="请确认您的电子邮箱",
            body="请点击下方按钮，确认此邮箱属于您。",
            action="确认邮箱",
            note="如果您没有提出此请求，请忽略此邮件。",
        ),
        "password_reset": Text(
            title="设置新密码",
            body="您申请了重置密码。请通过以下链接设置新密码；该链接只能使用一次，且仅在短时间内有效。",
            action="设置新密码",
            note="如果您没有提出此请求，请忽略此邮件：您的密码不会改变。",
        ),
        "order_placed": Text(
            title="我们已收到您的订单 {number}",
            body="在付款之前，商品会为您保留。总计：{total}。",
            action="查看订单",
        ),
        "order_placed:free": Text(
            title="我们已收到您的订单 {number}",
            body="该订单无需付款。",
            action="查看订单",
        ),
        "order_confirmed": Text(
            title="您的订单 {number} 已确认",
            body="谢谢！我们已收到您的付款，正在为您备货。",
            action="查看订单",
        ),
        "order_confirmed:free": Text(
            title="您的订单 {number} 已确认",
            body="谢谢！该订单无需付款，我们正在为您备货。",
            action="查看订单",
        ),
        "order_cancelled": Text(
            title="您的订单 {number} 已取消",
            body="该订单已取消。",
            action="查看订单",
        ),
        "order_cancelled:buyer": Text(
            title="您的订单 {number} 已取消",
            body="我们已按您的要求取消订单。",
            action="查看订单",
        ),
        "order_cancelled:expired": Text(
            title="您的订单 {number} 已取消",
            body="该订单未在规定时间内付款，因此已取消。您可以随时重新下单。",
            action="查看订单",
        ),
        "order_cancelled:replaced": Text(
            title="您的订单 {number} 已被替换",
            body="您已用同一购物车重新下单，因此这个未付款的订单已取消。",
            action="查看订单",
        ),
        "order_cancelled:out_of_stock": Text(
            title="您的订单 {number} 已取消",
            body="很抱歉，您订单中的商品已售罄。您已支付的款项将退还给您。",
            action="查看订单",
        ),
        "order_shipped": Text(
            title="您的订单 {number} 已发货",
            body="您的包裹已交给 {carrier}。运单号：{tracking_number}。",
            action="查看订单",
        ),
        "order_delivered": Text(
            title="您的订单 {number} 已送达",
            body="您的包裹已送达。希望您喜欢所购的商品。",
            action="查看订单",
        ),
        "order_refunded": Text(
            title="订单 {number} 的款项正在退还",
            body="我们已将 {amount} 按原支付方式退还给您，到账可能需要几天时间。",
            action="查看订单",
        ),
        "order_return_rejected": Text(
            title="您的订单 {number} 的退货申请未通过",
            body="我们审核了您的退货申请，很抱歉无法接受。您可以在订单中查看原因。",
            action="查看订单",
        ),
        "payment_attempt_failed": Text(
            title="您的付款未成功",
            body="{amount} 的付款被拒绝。您的订单仍为您保留，请尝试其他付款方式。",
            action="查看订单",
        ),
        "cart_reminder": Text(
            title="您的购物车里还有商品",
            body="商品仍在购物车中，但并未为您预留，其他人也可以购买。",
            action="前往购物车",
            note="价格以今日为准，不含运费。",
        ),
    },
)
