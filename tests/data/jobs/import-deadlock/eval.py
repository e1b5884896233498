import zoo

print(sorted(zoo.REGISTRY))
