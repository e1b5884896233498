from zoo import register


@register("vit")
class ViT:
    pass
