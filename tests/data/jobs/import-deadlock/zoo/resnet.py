from zoo import register


@register("resnet")
class ResNet:
    pass
